// OpenAI's client, which asks for base64 unless told otherwise.

// README
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "http://127.0.0.1:8080/v1", apiKey: process.env.API_KEY });
const response = await client.embeddings.create({ model: "all-MiniLM-L6-v2", input: "How is the weather?" });
const vector = response.data[0].embedding;

// Checks
import { given, said, tell } from "./checking.mjs";

async function embed(input, options = {}, asking = client) {
  const { data } = await asking.embeddings.create({ model: "all-MiniLM-L6-v2", input, ...options });
  return data.map((item) => item.embedding);
}

const answers = {
  readme: vector,
  text: await embed(given.text),
  texts: await embed(given.texts),
  float: await embed(given.texts, { encoding_format: "float" }),
  dimensions: await embed(given.text, { dimensions: 64 }),
  "token ids": await embed(given.ids[0]),
  "lists of token ids": await embed(given.ids),
  prompt: await embed(given.text, { prompt_name: "query" }),
  usage: [response.usage.prompt_tokens, response.usage.total_tokens],
  models: (await client.models.list()).data.map((model) => model.id),
};
const stranger = new OpenAI({ baseURL: "http://127.0.0.1:8080/v1", apiKey: "wrong" });
const errors = {
  key: await said(embed(given.text, {}, stranger)),
  empty: await said(embed("")),
  prompt: await said(embed(given.text, { prompt_name: "nonsense" })),
  dimensions: await said(embed(given.text, { dimensions: 100000 })),
};
tell("openai", answers, errors);
