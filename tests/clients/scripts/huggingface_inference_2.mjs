// @huggingface/inference 2, which takes the URL as the model: with an endpointUrl alone it asks huggingface.co for a model first.

// README
import { HfInference } from "@huggingface/inference";

const client = new HfInference(process.env.API_KEY);
const [vector] = await client.featureExtraction({ model: "http://127.0.0.1:8080", inputs: "How is the weather?" });

// Checks
import { given, said, tell } from "./checking.mjs";

const model = "http://127.0.0.1:8080";
const embed = (inputs, fields = {}, options = {}) => client.featureExtraction({ model, inputs, ...fields }, options);
const similarity = { model, inputs: { source_sentence: given.text, sentences: given.texts } };

const answers = {
  readme: vector,
  text: await embed(given.text),
  texts: await embed(given.texts),
  unnormalized: await embed(given.text, { parameters: { normalize: false } }),
  prompt: await embed(given.text, { prompt_name: "query" }),
  cut: await embed(given.long),
  "cut left": await embed(given.long, { truncation_direction: "Left" }),
  "all headers": await embed(given.text, {}, { use_cache: false, wait_for_model: true, dont_load_model: true }),
  similarity: await client.sentenceSimilarity(similarity),
};
const errors = {
  key: await said(new HfInference("wrong").featureExtraction({ model, inputs: given.text })),
  empty: await said(embed("")),
  prompt: await said(embed(given.text, { prompt_name: "nonsense" })),
  long: await said(embed(given.long, { truncate: false })),
};
tell("@huggingface/inference", answers, errors);
