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
