/** The tabs of a first visit: the main job from an empty project to a video, and a pause to try it without media. */
import type { TabsState } from "@graphiql/react";

import createProject from "./examples/create-project.graphql";
import createProjectVariables from "./examples/create-project.json";
import createUpload from "./examples/create-upload.graphql";
import createUploadVariables from "./examples/create-upload.json";
import projectEvents from "./examples/project-events.graphql";
import projectEventsVariables from "./examples/project-events.json";
import setTimeline from "./examples/set-timeline.graphql";
import setTimelineVariables from "./examples/set-timeline.json";
import startPause from "./examples/start-pause.graphql";
import startPauseVariables from "./examples/start-pause.json";
import startRender from "./examples/start-render.graphql";
import startRenderVariables from "./examples/start-render.json";
import watchJob from "./examples/watch-job.graphql";
import watchJobVariables from "./examples/watch-job.json";
import watchQueues from "./examples/watch-queues.graphql";
import watchQueuesVariables from "./examples/watch-queues.json";

export const EXAMPLES: TabDefinition[] = [
  tab(createProject, createProjectVariables),
  tab(createUpload, createUploadVariables),
  tab(setTimeline, setTimelineVariables),
  tab(startRender, startRenderVariables),
  tab(watchJob, watchJobVariables),
  tab(startPause, startPauseVariables),
  tab(projectEvents, projectEventsVariables),
  tab(watchQueues, watchQueuesVariables),
];

function tab(query: string, variables: string): TabDefinition {
  return { query: query.trimEnd(), variables: variables.trimEnd() };
}

/** Prepare a first visit: GraphiQL fills its editors from storage, even where the tabs are the default ones. */
export function prepare(storage: Storage): void {
  const [first] = EXAMPLES;
  if (!first || storage.getItem("graphiql:tabState") !== null) return;
  storage.setItem("graphiql:query", first.query ?? "");
  storage.setItem("graphiql:variables", first.variables ?? "");
}

type TabDefinition = Pick<TabsState["tabs"][number], "query" | "variables">;

const PLACEHOLDERS: Record<string, string> = { Project: '"PROJECT_ID"', Job: '"JOB_ID"' };

/** The newest ids by type name, with those of this answer. Answers that name no type teach nothing. */
export function idsIn(response: string | null | undefined, known: Readonly<Record<string, string>>): Record<string, string> {
  const ids = { ...known };
  for (const [, answer] of Object.entries(dataOf(response))) {
    const { __typename, id } = answer;
    if (typeof __typename === "string" && typeof id === "string") ids[__typename] = id;
  }
  return ids;
}

/** Variables with each placeholder replaced for which an id is known. */
export function filled(variables: string, ids: Readonly<Record<string, string>>): string {
  return Object.entries(ids).reduce((text, [type, id]) => {
    const placeholder = PLACEHOLDERS[type];
    return placeholder ? text.replaceAll(placeholder, JSON.stringify(id)) : text;
  }, variables);
}

/** The root fields of an answer that are objects, by name. */
export function dataOf(response: string | null | undefined): Record<string, Record<string, unknown>> {
  try {
    const { data } = JSON.parse(response || "{}") as { data?: Record<string, unknown> | null };
    return Object.fromEntries(
      Object.entries(data ?? {}).filter((each): each is [string, Record<string, unknown>] => isObject(each[1])),
    );
  } catch {
    return {};
  }
}

export function activeTab({ tabs, activeTabIndex }: TabsState): TabsState["tabs"][number] | undefined {
  return tabs[activeTabIndex];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
