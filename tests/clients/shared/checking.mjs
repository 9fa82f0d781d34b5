// What every script does: read the texts to send, hold on to what a failure says, and print one JSON line at the end.
import { readFileSync } from "node:fs";

export const given = JSON.parse(readFileSync(0, "utf8"));

export async function said(promise) {
  try {
    await promise;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
  return "no exception";
}

export function tell(name, answers, errors) {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  process.stdout.write(JSON.stringify({ version, answers, errors, warnings: [] }));
}
