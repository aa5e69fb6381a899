import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type BrowserContext, type Page } from "playwright-core";
import { CHROMIUM_FLAGS, findChromium, installedChromium } from "../../scripts/servers/chromium.js";

/** A browser of the tests' own, with a profile that goes with it. */
export interface TestBrowser {
  /** A page that collects what goes wrong on it. */
  open(): Promise<{ readonly page: Page; readonly problems: string[] }>;
  close(): Promise<void>;
}

/** Whether these tests can run: installed if it may be, and with CI=true it must be there. */
export function hasChromium(): boolean {
  try {
    installedChromium();
    return true;
  } catch (error) {
    if (process.env["CI"] === "true") throw error;
    console.warn(error instanceof Error ? error.message : error);
    return findChromium() !== undefined;
  }
}

export async function startBrowser(): Promise<TestBrowser> {
  const profile = await mkdtemp(join(tmpdir(), "tiercache-chromium-"));
  const context: BrowserContext = await chromium.launchPersistentContext(profile, {
    executablePath: installedChromium(),
    args: [...CHROMIUM_FLAGS],
    viewport: { width: 1_280, height: 860 },
    // Nothing of it is downloaded, and nothing asked of anybody but the process under test.
    serviceWorkers: "block",
  });
  return {
    async open() {
      const page = await context.newPage();
      const problems: string[] = [];
      page.on("pageerror", (error) => problems.push(error.message));
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
      });
      page.on("request", (request) => {
        if (new URL(request.url()).hostname !== "127.0.0.1") problems.push(`asked ${request.url()}`);
      });
      return { page, problems };
    },
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Least ratio of text to its ground (WCAG 2.2, 1.4.3). */
const CONTRAST = 4.5;

/** What is wrong with how a page looks: it is wider than its window, something sticks out of its panel, or a text is too faint. */
export async function pageFaults(page: Page): Promise<readonly string[]> {
  return page.evaluate<string[]>(`(${findFaults})(${CONTRAST})`);
}

const findFaults = String.raw`(least) => {
  const faults = [];
  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth) faults.push("the page is " + scrollWidth + " wide, its window " + innerWidth);
  for (const panel of document.querySelectorAll(".panel")) {
    const { right } = panel.getBoundingClientRect();
    for (const one of panel.querySelectorAll("dd, p, code, pre, h2, .stat-sub, .button"))
      if (!one.closest(".table-wrap") && one.getBoundingClientRect().right > right + 1)
        faults.push("sticks out of its panel: " + one.textContent.slice(0, 60));
  }
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (color) => {
    if (known.has(color)) return known.get(color);
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    known.set(color, canvas.getImageData(0, 0, 1, 1).data);
    return known.get(color);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const groundOf = (one) => {
    for (let at = one; at !== null; at = at.parentElement) {
      const ground = rgba(getComputedStyle(at).backgroundColor);
      if (ground[3] === 255) return ground;
    }
    return [255, 255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
    const one = text.parentElement;
    // What is disabled, or not on the way of a read, is meant to stand back; a separator is repeated by what it separates.
    if (text.data.trim() === "" || !one.checkVisibility() || one.closest(":disabled, .past, .key i, .path i, option")) continue;
    const [a, b] = [light(rgba(getComputedStyle(one).color)), light(groundOf(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) faults.push("too faint, " + ratio.toFixed(2) + ": " + text.data.slice(0, 60));
  }
  return faults;
}`;
