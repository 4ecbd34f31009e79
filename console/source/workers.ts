/** The editor's workers: Monaco asks for each by its label. */
const names: Record<string, string> = WORKERS;

globalThis.MonacoEnvironment = {
  getWorker: (_id: string, label: string) =>
    new Worker(new URL(names[label] ?? WORKERS.editor, import.meta.url), { name: label }),
};
