/** Mounts the console: the header, and GraphiQL below it. */
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./console.css";
import "./workers";

import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";

import { EXAMPLES, prepare } from "./examples";
import { fetcherFor } from "./fetcher";
import { FilledIn } from "./filled-in";
import { Header } from "./header";
import { placeOf } from "./place";
import { Progress } from "./progress";
import { Session, SignInError } from "./session";

const page = document.getElementById("console")!;
const place = placeOf(page);
const session = new Session(place);

prepare(localStorage);
createRoot(page).render(<Console problem={await arrive()} />);

function Console({ problem }: { problem: string }) {
  return (
    <>
      <Header place={place} session={session} problem={problem} />
      <GraphiQL
        fetcher={fetcherFor(place, session)}
        defaultTabs={EXAMPLES}
        defaultEditorToolsVisibility="variables"
        plugins={[HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })]}
        shouldPersistHeaders={false}
      >
        <GraphiQL.Logo>
          <FilledIn />
        </GraphiQL.Logo>
        <GraphiQL.Footer>
          <Progress />
        </GraphiQL.Footer>
      </GraphiQL>
    </>
  );
}

/** End or begin a sign-in where the address says so; returns what went wrong with it, for people. */
async function arrive(): Promise<string> {
  const { pathname, searchParams } = new URL(location.href);
  const returns = pathname === `${place.root}/graphiql/callback`;
  const begins = searchParams.has("sign-in");
  // Before anything else: a code has no place in the history.
  if (returns || begins) history.replaceState(null, "", `${place.root}/graphiql`);
  try {
    if (returns && searchParams.size > 0) await session.complete(searchParams);
    else if (begins) await session.begin();
    return "";
  } catch (error) {
    return error instanceof SignInError ? error.message : "The server could not be reached. Please try again.";
  }
}
