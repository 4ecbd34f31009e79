/** What the build puts in: see build.js. */
declare const WORKERS: Record<"editor" | "json" | "graphql", string>;

/** Where Monaco looks for its workers. */
declare var MonacoEnvironment: { getWorker(id: string, label: string): Worker };

declare module "*.graphql" {
  const document: string;
  export default document;
}

declare module "*.json" {
  const text: string;
  export default text;
}

declare module "*.css";
