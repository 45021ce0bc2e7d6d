// Evaluates what it reads, a JSON list of `{type, key, fallback, context}`, and prints the details of each.
import { flags } from './flags.mjs';

let text = '';
for await (const chunk of process.stdin) text += chunk;
const answers = [];
for (const { type, key, fallback, context } of JSON.parse(text)) {
  const asked = { boolean: 'getBooleanDetails', string: 'getStringDetails', object: 'getObjectDetails' }[type];
  const { value, variant, reason, errorCode, flagMetadata } = await flags[asked ?? 'getNumberDetails'](key, fallback, context);
  answers.push({ value, variant, reason, error: errorCode, metadata: flagMetadata });
}
console.log(JSON.stringify(answers));
