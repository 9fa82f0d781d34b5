"""Search a file of vectors that `make embed` wrote, on this machine: a question in, the best passages out.

__main__.py  the command, `python -m events.search IN Q`
search.py    embeds the question, scores every vector of a file, and returns the best records
scoring.py   the score of each vector of a batch, and the best of all batches
files.py     the files that can be searched, by their endings, and what a search needs of them
parquet.py   a file of Parquet
pages.py     the numbers of a row group as they are in the file, if `make embed` wrote it: no decoding
jsonl.py     a file of lines of JSON
filters.py   the condition FILTER on a record's metadata
output.py    the results for a person and for a program

Theory. Every vector is scored: at a million vectors that takes less than a second, and nothing is missed, as an index would. Small
vectors are not compared with a small query: each batch is turned into the float32 numbers that its vectors stand for and compared
with the float32 query. So the result is what rescoring all candidates gives. A batch is scored in blocks that fit into a
processor's cache, so that the memory does not grow with the file. The place of a record in its file decides between equal scores.

Law: reads files, prints results, and never writes.
"""
