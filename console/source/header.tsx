/** The bar above GraphiQL: whose server this is, and who is signed in. */
import { useEffect, useState, useSyncExternalStore } from "react";

import { authorized } from "./fetcher";
import type { Place } from "./place";
import { type Session, SignInError } from "./session";

interface Viewer {
  name: string;
  email: string;
  isAdmin: boolean;
}

export function Header({ place, session, problem }: { place: Place; session: Session; problem: string }) {
  const isSignedIn = useSyncExternalStore(session.subscribe, () => session.isSignedIn);
  const [alert, setAlert] = useState(problem);
  const viewer = useViewer(place, session, isSignedIn);

  const signIn = () =>
    session.begin().catch((error: unknown) => setAlert(error instanceof SignInError ? error.message : String(error)));

  return (
    <header className="console-header">
      <a className="console-brand" href={`${place.root}/graphiql`}>
        <Reel />
        Reelgraph <span className="console-quiet">GraphiQL</span>
      </a>
      {alert && <p role="alert">{alert}</p>}
      <div className="console-viewer">
        {isSignedIn ? (
          <>
            {viewer && (
              <span className="console-name" title={viewer.email}>
                {viewer.name} {viewer.isAdmin && <span className="console-badge">admin</span>}
              </span>
            )}
            <button type="button" onClick={() => session.signOut()}>
              Sign out
            </button>
          </>
        ) : (
          <button type="button" className="console-main" onClick={signIn}>
            Sign in
          </button>
        )}
      </div>
    </header>
  );
}

/** Who is signed in; null while that is not known. */
function useViewer(place: Place, session: Session, isSignedIn: boolean): Viewer | null {
  const [viewer, setViewer] = useState<Viewer | null>(null);
  useEffect(() => {
    let isCurrent = true;
    setViewer(null);
    if (isSignedIn) {
      void askWho(place, session)
        .catch(() => null)
        .then((found) => isCurrent && setViewer(found));
    }
    return () => {
      isCurrent = false;
    };
  }, [place, session, isSignedIn]);
  return viewer;
}

async function askWho(place: Place, session: Session): Promise<Viewer | null> {
  const response = await authorized(session, `${place.root}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ query: "{ viewer { name email isAdmin } }" }),
  });
  const { data } = (await response.json()) as { data?: { viewer: Viewer | null } };
  return data?.viewer ?? null;
}

function Reel() {
  return (
    <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
      <path className="reel" d="M16 2a14 14 0 1 0 8.6 25H30v-3h-2.5A14 14 0 0 0 16 2Z" />
      <g className="hole">
        <circle cx="16" cy="8.6" r="3.1" />
        <circle cx="23" cy="13.7" r="3.1" />
        <circle cx="20.4" cy="22" r="3.1" />
        <circle cx="11.6" cy="22" r="3.1" />
        <circle cx="9" cy="13.7" r="3.1" />
        <circle cx="16" cy="16" r="1.5" />
      </g>
    </svg>
  );
}
