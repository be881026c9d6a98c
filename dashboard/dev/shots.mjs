// Takes pictures of the page in both languages, to look at: `npm run build && node dev/shots.mjs FOLDER`, against a
// mock API with a LiveKit (see mock-api.mjs) at MARSAD_URL.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const base = process.env.MARSAD_URL ?? 'http://127.0.0.1:8080';
const folder = process.argv[2] ?? 'shots';
await mkdir(folder, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
});
const publisher = await browser.newPage();
await publisher.goto(`${base}/mock/publisher`);
await publisher.waitForFunction("document.title === 'publishing'");

async function shoot(language, name, viewport, act) {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  page.on('pageerror', (error) => console.error(language, name, error));
  await page.addInitScript(`localStorage.setItem('marsad.language', '${language}')`);
  await page.goto(base);
  await act(page);
  await page.screenshot({ path: join(folder, `${language}-${name}.png`) });
  await context.close();
}

async function signIn(page) {
  await page.fill('#username', 'admin');
  await page.fill('#password', 'admin');
  await page.press('#password', 'Enter');
  await page.waitForSelector('[data-testid=camera-row]');
}

async function addAll(page, count) {
  await signIn(page);
  const rows = page.getByTestId('camera-row');
  const total = Math.min(count, await rows.count());
  for (let index = 0; index < total; index += 1) await rows.nth(index).click();
  await page.waitForTimeout(2_500);
}

const wide = { width: 1440, height: 860 };
const narrow = { width: 420, height: 860 };
for (const language of ['ar', 'en']) {
  await shoot(language, 'sign-in', wide, (page) => page.waitForSelector('#username'));
  await shoot(language, 'sign-in-wrong', narrow, async (page) => {
    await page.fill('#username', 'admin');
    await page.fill('#password', 'wrong');
    await page.press('#password', 'Enter');
    await page.waitForSelector('[role=alert]');
  });
  await shoot(language, 'empty', wide, signIn);
  await shoot(language, 'wall-4', wide, (page) => addAll(page, 4));
  await shoot(language, 'wall-9', wide, (page) => addAll(page, 9));
  await shoot(language, 'wall-16', wide, (page) => addAll(page, 17));
  await shoot(language, 'wall-narrow', narrow, (page) => addAll(page, 6));
  await shoot(language, 'maximised', wide, async (page) => {
    await addAll(page, 4);
    await page.getByTestId('tile').nth(1).dblclick();
    await page.waitForTimeout(300);
  });
  await shoot(language, 'no-match', wide, async (page) => {
    await signIn(page);
    await page.fill('input[type=search]', 'xyz');
    await page.waitForTimeout(300);
  });
}
await browser.close();
