/** Below the answer: how far the job in it has come. */
import { pick, useGraphiQL } from "@graphiql/react";

import { activeTab, dataOf } from "./examples";

interface Job {
  state?: string;
  progress: { stage?: string; fraction: number; etaSeconds?: number | null };
}

export function Progress() {
  const job = jobIn(activeTab(useGraphiQL(pick("tabs", "activeTabIndex")))?.response);
  if (!job) return null;
  const { stage, fraction, etaSeconds } = job.progress;
  const left = etaSeconds ? `${Math.ceil(etaSeconds)} s left` : "";
  return (
    <div className="console-progress" data-state={job.state}>
      <span className="console-state">{job.state}</span>
      <progress value={fraction} aria-label="Progress of the job" />
      <output>{Math.floor(fraction * 100)} %</output>
      <span className="console-quiet">{[stage, left].filter(Boolean).join(" · ")}</span>
    </div>
  );
}

function jobIn(response: string | null | undefined): Job | undefined {
  return Object.values(dataOf(response)).find((each): each is Record<string, unknown> & Job => {
    const { progress } = each as Partial<Job>;
    return typeof progress?.fraction === "number";
  });
}
