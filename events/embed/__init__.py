"""Embed a file or a folder on this machine: JSONL, CSV or documents in, JSONL or Parquet out, by the code that runs in Lambda.

__main__.py  the command, `python -m events.embed IN OUT`
job.py       embeds the texts of the input as one file of vectors
input.py     the records of the input, and the checks that need no model
input_files.py  the files of the input, on this machine or in S3
output.py    the formats of OUT
progress.py  the record of how much is done, from which an interrupted run resumes
bar.py       the progress on the terminal
counted.py   a number with its noun
"""
