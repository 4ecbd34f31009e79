/**
 * Bundles the console into ../graph/console/static, ready to serve: hashed names, gzipped, nothing from elsewhere.
 *
 * The same sources and the same lock make the same bytes. The manifest says which files there are, and holds a digest
 * of what they were built from, by which a test sees without node whether they are up to date.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const STATIC = join(HERE, "../graph/console/static");

const WORKERS = {
  editor: "monaco-editor/esm/vs/editor/editor.worker.js",
  json: "monaco-editor/esm/vs/language/json/json.worker.js",
  graphql: "monaco-graphql/esm/graphql.worker.js",
};

const SHARED = {
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  outdir: "out",
  target: ["es2022", "chrome123", "firefox120", "safari17.5"],
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  assetNames: "[name]-[hash]",
  legalComments: "none", // licenses.txt has them all
  logLevel: "warning",
  define: { "process.env.NODE_ENV": '"production"' },
};

const workers = await Promise.all(
  Object.entries(WORKERS).map(async ([label, entry]) => {
    const result = await build({ ...SHARED, entryPoints: { [`${label}-worker`]: entry }, format: "iife" });
    return { label, result, name: nameOf(result, entry) };
  }),
);

const console_ = await build({
  ...SHARED,
  entryPoints: { console: "source/console.tsx" },
  format: "esm",
  splitting: true,
  loader: { ".graphql": "text", ".json": "text" },
  plugins: [fontsAsFiles(), stylesOnce()],
  define: { ...SHARED.define, WORKERS: JSON.stringify(Object.fromEntries(workers.map((each) => [each.label, each.name]))) },
});

const results = [console_, ...workers.map((each) => each.result)];
mkdirSync(join(STATIC, "assets"), { recursive: true });
const files = results.flatMap((each) => each.outputFiles);
for (const file of files) writeFileSync(join(STATIC, "assets", `${basename(file.path)}.gz`), gzipped(file.contents));
writeFileSync(join(STATIC, "licenses.txt"), licenses(results));

const script = nameOf(console_, "source/console.tsx");
const manifest = {
  script,
  style: basename(console_.metafile.outputs[join("out", script)].cssBundle),
  assets: files.map((file) => basename(file.path)).sort(),
  sources: digestOfSources(),
};
writeFileSync(join(STATIC, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
// Last, so that an API process that starts meanwhile finds what its manifest names.
for (const file of readdirSync(join(STATIC, "assets"))) {
  if (!manifest.assets.includes(file.slice(0, -".gz".length))) rmSync(join(STATIC, "assets", file));
}
console.log(`${files.length} files, ${kilobytes(files.map((file) => file.contents))} kB, ${kilobytes(files.map((file) => gzipped(file.contents)))} kB gzipped`);

/** What an entry point became. */
function nameOf(result, entry) {
  const found = Object.entries(result.metafile.outputs).find(([, each]) => each.entryPoint?.endsWith(entry));
  return basename(found[0]);
}

function gzipped(contents) {
  const bytes = gzipSync(contents, { level: 9 });
  bytes[9] = 255; // the operating system: unknown, so that all of them make the same bytes
  return bytes;
}

/** GraphiQL's styles carry their fonts within them. As files of their own only those are loaded that a page uses. */
function fontsAsFiles() {
  return {
    name: "fonts as files",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^data:font\// }, ({ path }) => ({
        path: `font-${createHash("sha256").update(path).digest("hex").slice(0, 8)}.${path.match(/^data:font\/(\w+)/)[1]}`,
        namespace: "font",
        pluginData: path,
      }));
      onLoad({ filter: /.*/, namespace: "font" }, ({ pluginData }) => ({
        contents: Buffer.from(pluginData.slice(pluginData.indexOf(",") + 1), "base64"),
        loader: "file",
      }));
    },
  };
}

/** GraphiQL's style sheet holds Monaco's already. */
function stylesOnce() {
  return {
    name: "styles once",
    setup({ onLoad }) {
      onLoad({ filter: /monaco-editor.*\.css$/ }, () => ({ contents: "", loader: "css" }));
    },
  };
}

/** The licences of every package of which something was bundled. */
function licenses(results) {
  const inputs = results.flatMap((each) => Object.keys(each.metafile.inputs));
  const folders = new Set(inputs.map((input) => input.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]).filter(Boolean));
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(HERE, folder, "package.json"), "utf8"));
    const names = readdirSync(join(HERE, folder)).filter((file) => /^(licen[cs]e|notice|thirdpartynotices)/i.test(file));
    const said = names.sort().map((file) => readFileSync(join(HERE, folder, file), "utf8").trim());
    return [`${name} ${version} (${license})`, ...said].join("\n\n");
  });
  return `The console is made with these packages.\n\n${texts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}

/** SHA-256 over each source's path and content, in the order of the paths; tests/graph/test_console.py does the same. */
function digestOfSources() {
  const sources = readdirSync(join(HERE, "source"), { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(HERE.length + 1).replaceAll("\\", "/"));
  const hash = createHash("sha256");
  for (const path of [...sources, "build.js", "package.json", "package-lock.json"].sort()) {
    hash.update(`${path}\n`).update(readFileSync(join(HERE, path)));
  }
  return hash.digest("hex");
}

function kilobytes(contents) {
  return Math.round(contents.reduce((sum, each) => sum + each.length, 0) / 1000);
}
