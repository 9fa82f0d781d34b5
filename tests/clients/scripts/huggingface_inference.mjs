// @huggingface/inference from version 3 on.

// README
import { InferenceClient } from "@huggingface/inference";

const client = new InferenceClient(process.env.API_KEY, { endpointUrl: "http://127.0.0.1:8080" });
const [vector] = await client.featureExtraction({ inputs: "How is the weather?" });

// Checks
import { given, said, tell } from "./checking.mjs";

const url = "http://127.0.0.1:8080";
const embed = (inputs, options = {}) => client.featureExtraction({ inputs, ...options });
const similarity = { inputs: { source_sentence: given.text, sentences: given.texts } };

const answers = {
  readme: vector,
  text: await embed(given.text),
  texts: await embed(given.texts),
  normalize: await embed(given.text, { normalize: true }),
  unnormalized: await embed(given.text, { normalize: false }),
  prompt: await embed(given.text, { prompt_name: "query" }),
  short: await embed(given.text, { truncate: false }),
  cut: await embed(given.long, { truncate: true }),
  "cut right": await embed(given.long, { truncate: true, truncation_direction: "Right" }),
  "cut left": await embed(given.long, { truncate: true, truncation_direction: "Left" }),
  dimensions: await embed(given.text, { dimensions: 64 }),
  similarity: await client.sentenceSimilarity(similarity),
  endpoint: await new InferenceClient(process.env.API_KEY).endpoint(url).featureExtraction({ inputs: given.text }),
};
const stranger = new InferenceClient("wrong", { endpointUrl: url });
const errors = {
  key: await said(stranger.featureExtraction({ inputs: given.text })),
  empty: await said(embed("")),
  prompt: await said(embed(given.text, { prompt_name: "nonsense" })),
  long: await said(embed(given.long, { truncate: false })),
};
tell("@huggingface/inference", answers, errors);
