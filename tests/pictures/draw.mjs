// node draw.mjs PROMETHEUS OUT DASHBOARDS PICTURES: each a JSON {board, from, to, chosen, panel}
//
// Draws dashboards in headless Chromium into OUT. Fails on a console error, a query that failed
// or has no answer, and on a panel that says "No data".
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { bundle } from './build.mjs';

const WIDTH = 1600;
const PATIENCE_MS = 120_000;
const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml',
};

function serve(folders) {
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const found = folders.map(([prefix, folder]) =>
      pathname.startsWith(prefix) ? path.normalize(folder + pathname.slice(prefix.length)) : ''
    );
    const file = found.find((one) => one && fs.existsSync(one) && fs.statSync(one).isFile());
    if (!file && pathname.endsWith('.svg')) {
      // Two icons of the time picker are in Grafana's server only.
      response.writeHead(200, { 'Content-Type': TYPES['.svg'] });
      response.end('<svg xmlns="http://www.w3.org/2000/svg"/>');
      return;
    }
    response.writeHead(file ? 200 : 404, { 'Content-Type': TYPES[path.extname(file ?? '')] ?? 'text/plain' });
    response.end(file ? fs.readFileSync(file) : 'not found');
  });
  return new Promise((ready) => server.listen(0, '127.0.0.1', () => ready(server)));
}

async function settled(page) {
  const quiet = () => {
    const { account } = window;
    const loading = document.querySelectorAll('[aria-label="Panel loading bar"]').length;
    const now = `${account?.asked} ${account?.waiting} ${loading}`;
    window.same = now === window.before && account?.asked > 0 && account.waiting === 0 ? window.same + 1 : 0;
    window.before = now;
    return window.same >= 10;
  };
  await page.waitForFunction(quiet, undefined, { timeout: PATIENCE_MS, polling: 300 });
}

async function picture(browser, base, prometheus, out, wanted) {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 1000 }, timezoneId: 'UTC' });
  const wrong = [];
  page.on('console', (said) => said.type() === 'error' && wrong.push(`console: ${said.text()} ${said.location().url}`));
  page.on('pageerror', (error) => wrong.push(`page: ${error.stack}`));
  const { board, from, to, chosen } = wanted;
  const address = new URLSearchParams({ board, prometheus, from, to, chosen: JSON.stringify(chosen) });
  await page.goto(`${base}/index.html?${address}`);
  await page.waitForSelector('#board', { timeout: PATIENCE_MS });
  // All panels in sight: those out of sight are not drawn.
  const { panels } = JSON.parse(fs.readFileSync(path.join(wanted.dashboards, `${board}.json`)));
  const rows = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  await page.setViewportSize({ width: WIDTH, height: rows * 38 + 140 });
  await settled(page);
  const account = await page.evaluate(() => window.account);
  const text = await page.evaluate(() => document.body.innerText);
  wrong.push(...account.failed.map((one) => `failed: ${one}`), ...account.empty.map((one) => `no answer: ${one}`));
  wrong.push(...(text.match(/No data|Unable to .*|Error loading.*/g) ?? []));
  await page.locator('#board').screenshot({ path: path.join(out, `${board}.png`), type: 'png' });
  await page.close();
  console.log(`${board}: ${account.asked} questions, ${wrong.length} wrong`);
  return wrong.map((one) => `${board}: ${one}`);
}

const [prometheus, out, dashboards, ...wanted] = process.argv.slice(2);
await bundle('out');
fs.copyFileSync('index.html', 'out/index.html');
const server = await serve([
  ['/public/build/img/', 'node_modules/@grafana/ui/dist/public/img/'],
  ['/public/fonts/inter/Inter-Regular', 'node_modules/@fontsource/inter/files/inter-latin-400-normal'],
  ['/public/fonts/inter/Inter-Medium', 'node_modules/@fontsource/inter/files/inter-latin-500-normal'],
  ['/dashboards/', `${dashboards}/`],
  ['/', 'out/'],
]);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const base = `http://127.0.0.1:${server.address().port}`;
const wrong = [];
for (const one of wanted) {
  wrong.push(...(await picture(browser, base, prometheus, out, { ...JSON.parse(one), dashboards })));
}
await browser.close();
server.close();
wrong.forEach((one) => console.error(one));
process.exitCode = wrong.length ? 1 : 0;
