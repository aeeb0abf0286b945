"""How an execution went, as a value: its promises, what each did when, and what moved it on. And pages that show it.

What is known comes from records, which every place has, and from happenings, which only a `LocalCloud` tells. Whatever
they are, the parts of a promise's bar follow one another without a gap, and none lies within another. Pure: it reads
nothing by itself, and no payload gets into a timeline that the caller hasn't put into a record's texts.
"""
