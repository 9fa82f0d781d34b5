"""The HTTP interface: requests to texts and options, vectors and errors to responses.

routes.py is the table of routes. app.py makes the FastAPI application from it. middleware.py stands around all routes: it checks
keys, turns every error into JSON and logs. Each dialect is a file whose functions take an HttpRequest (request.py) and return a
response (responses.py): feature_extraction.py and similarity.py (Hugging Face), tei.py (text-embeddings-inference), openai.py with
openai_variants.py (Voyage, Jina, NVIDIA, Mistral), cohere.py, ollama.py, bedrock.py and rerank.py.
errors.py has the status of every error. documentation.py responds to browsers: openapi.py makes the document, pages.py assembles
the files of page/.

lazy_fastapi.py imports FastAPI without the models that no embedding needs.

Law: only this folder and functions/api.py know FastAPI and Mangum.
"""

from handler.http import lazy_fastapi as lazy_fastapi  # before any module here imports FastAPI
