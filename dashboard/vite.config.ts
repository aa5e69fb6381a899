import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const config: UserConfig = defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  // Wherever it is mounted: everything is named from where the page is.
  base: "./",
  build: {
    outDir: "../dist/admin/assets",
    // Flat: the server knows its files by name, and no name leads out of the folder.
    assetsDir: "",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: false,
    reportCompressedSize: false,
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});

export default config;
