/** GraphQL with the viewer's token: queries and mutations over HTTP, subscriptions over one WebSocket. */
import { createGraphiQLFetcher, type Fetcher } from "@graphiql/toolkit";
import { type DocumentNode, Kind, parse } from "graphql";
import { createClient } from "graphql-ws";

import { type Place, socketUrl } from "./place";
import type { Session } from "./session";

/** How the server closes a socket whose token it does not take. */
const FORBIDDEN = 4403;

export function fetcherFor(place: Place, session: Session): Fetcher {
  const url = `${location.origin}${place.root}/graphql`;
  let sent: string | null = null;
  const socket = createClient({
    url: socketUrl(url),
    connectionParams: async () => {
      sent = await session.accessToken();
      return sent === null ? {} : { authorization: `Bearer ${sent}` };
    },
    on: {
      // The client connects again by itself, and then asks for the token again.
      closed: (event) => {
        if ((event as CloseEvent).code === FORBIDDEN && sent !== null) void session.instead(sent);
      },
    },
  });
  // What is still open belongs to whoever has just signed out.
  session.subscribe(() => socket.terminate());
  const fetcher = createGraphiQLFetcher({
    url,
    wsClient: socket,
    fetch: (input, init) => authorized(session, input, init),
    enableIncrementalDelivery: false,
  });
  return (params, options) => {
    const documentAST = parsed(params.query);
    return fetcher({ ...params, operationName: operationIn(documentAST, params.operationName) }, { ...options, documentAST });
  };
}

function parsed(query: string): DocumentNode | undefined {
  try {
    return parse(query);
  } catch {
    return undefined; // the server says what is wrong with it
  }
}

/** Which operation is meant. For a moment after a change of tabs, GraphiQL still names the one of the tab before. */
function operationIn(document: DocumentNode | undefined, name: string | null | undefined): string | null | undefined {
  const names = document?.definitions.flatMap((each) => (each.kind === Kind.OPERATION_DEFINITION ? [each.name?.value] : []));
  return names?.length === 1 ? names[0] : name;
}

/** `fetch` with the token; when the server does not take it, once more with another. */
export async function authorized(session: Session, input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const headers = new Headers(init?.headers);
  if (headers.has("authorization")) return fetch(input, init); // written into the headers' editor: theirs counts
  const token = await session.accessToken();
  const response = await fetch(input, withToken(init, headers, token));
  if (response.status !== 401 || token === null) return response;
  const other = await session.instead(token);
  return other === null ? response : fetch(input, withToken(init, headers, other));
}

function withToken(init: RequestInit | undefined, headers: Headers, token: string | null): RequestInit {
  if (token !== null) headers.set("authorization", `Bearer ${token}`);
  return { ...init, headers };
}
