"""The edge: DynamoDB, Lambda and logs. AWS errors are translated here, next to the call."""
