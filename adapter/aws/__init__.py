"""The edge to AWS: DynamoDB, Lambda, SQS, S3 and logs. AWS errors are translated here, next to the call."""
