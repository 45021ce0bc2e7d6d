// browser.mjs CHROMIUM: opens pages as it is told, one JSON line after another, and answers with what they show.
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';

// Runs in each page before its own code: when which text was shown.
function remember() {
  window.shown = [];
  const look = () => {
    const text = document.getElementById('checkout')?.textContent;
    if (text && text !== window.shown.at(-1)?.text) window.shown.push({ text, at: Date.now() });
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, characterData: true });
}

const browser = await chromium.launch({ executablePath: process.argv[2], chromiumSandbox: process.getuid() !== 0 });
const pages = {};

const verbs = {
  async open({ name, url }) {
    const page = await (await browser.newContext()).newPage();
    pages[name] = { page, answers: [] };
    page.on('response', (answer) => pages[name].answers.push([new URL(answer.url()).pathname, answer.status()]));
    await page.addInitScript(remember);
    await page.goto(url);
  },
  async close({ name }) {
    await pages[name].page.close();
  },
  async reload({ name }) {
    await pages[name].page.reload();
  },
  async until({ name, text, within }) {
    const look = () => pages[name].page.evaluate(() => ({ ...window.shown.at(-1), loaded: performance.timeOrigin }));
    for (const end = Date.now() + within * 1000; ; await pause(20)) {
      const seen = await look();
      if (seen.text === text || Date.now() > end) return seen;
    }
  },
  // What pages were answered since they were asked last.
  answers({ name }) {
    return pages[name].answers.splice(0);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { verb, ...given } = JSON.parse(line);
  console.log(JSON.stringify((await verbs[verb](given)) ?? null));
}
await browser.close();
