/**
 * Signing in, as any frontend does it: authorization code with PKCE, then refresh tokens that rotate.
 *
 * The access token lives in this tab (sessionStorage). The refresh token is shared by all tabs (localStorage), because
 * each one is good once: two copies that are both used look like a theft, and end the sign-in. So it is only ever read
 * and replaced while holding a lock that all tabs know.
 */
import type { Place } from "./place";

const PENDING = "reelgraph.sign-in";
const ACCESS = "reelgraph.access-token";
const REFRESH = "reelgraph.refresh-token";
const LOCK = "reelgraph.refresh";

/** All that we may be granted; `admin` is left out by the server for those who are no administrators. */
const SCOPE = "projects:write uploads:write renders:write admin";

/** A token is renewed so long before it expires, so that it is still good when it arrives. */
const MARGIN_MS = 20_000;

/** Signing in did not work; the message is for people. */
export class SignInError extends Error {}

interface Tokens {
  access_token: string;
  refresh_token: string;
  expires_in: number;
}

interface Access {
  token: string;
  goodUntil: number;
}

interface Pending {
  state: string;
  verifier: string;
}

export class Session {
  readonly #place: Place;
  readonly #listeners = new Set<() => void>();
  #renewing: Promise<string | null> | null = null;

  constructor(place: Place) {
    this.#place = place;
    // Signing out in one tab signs out of all.
    window.addEventListener("storage", (event) => {
      if (event.key === REFRESH && event.newValue === null) this.#forget();
      else if (event.key === REFRESH && event.oldValue === null) this.#tell();
    });
  }

  get isSignedIn(): boolean {
    return localStorage.getItem(REFRESH) !== null;
  }

  /** Be told when somebody signs in or out; returns how to stop that. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Leave for the sign-in page. The way back leads to `complete`. */
  async begin(): Promise<void> {
    if (location.origin !== new URL(this.#place.publicUrl).origin) {
      // Our client is registered for the public address only.
      location.assign(`${this.#place.publicUrl}/graphiql?sign-in`);
      return;
    }
    if (!window.isSecureContext) throw new SignInError("Signing in needs https, or an address of this machine.");
    const pending = newPending();
    sessionStorage.setItem(PENDING, JSON.stringify(pending));
    location.assign(await this.#authorize(pending));
  }

  /** Exchange the code that the browser came back with. */
  async complete(answer: URLSearchParams): Promise<void> {
    const pending = read<Pending>(sessionStorage, PENDING);
    sessionStorage.removeItem(PENDING);
    const tokens = await this.#exchange(answer, pending);
    if (!tokens) throw new SignInError("The sign-in took too long. Please try again.");
    this.#keep(tokens);
  }

  /** A token that is still good, or null when nobody is signed in. */
  async accessToken(): Promise<string | null> {
    const access = read<Access>(sessionStorage, ACCESS);
    return access && Date.now() < access.goodUntil ? access.token : this.#renewed();
  }

  /** A token other than this one, which the server does not take (any more). */
  async instead(of: string): Promise<string | null> {
    if (read<Access>(sessionStorage, ACCESS)?.token === of) sessionStorage.removeItem(ACCESS);
    return this.accessToken();
  }

  /** Forget the tokens and leave for the page that ends the sign-in itself. */
  signOut(): void {
    this.#forget();
    location.assign(`${this.#place.publicUrl}/oauth/sign-out`);
  }

  get #callback(): string {
    return `${this.#place.publicUrl}/graphiql/callback`;
  }

  #renewed(): Promise<string | null> {
    if (!this.isSignedIn) return Promise.resolve(null);
    this.#renewing ??= navigator.locks
      .request(LOCK, async () => {
        const refresh = localStorage.getItem(REFRESH); // now, not before: another tab may have renewed it meanwhile
        if (refresh === null) return null;
        const tokens = (await this.#ask({ grant_type: "refresh_token", refresh_token: refresh })) ?? (await this.#anew());
        if (localStorage.getItem(REFRESH) !== refresh) return null; // signed out meanwhile
        if (tokens) this.#keep(tokens);
        else this.#forget();
        return tokens?.access_token ?? null;
      })
      .finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  /**
   * Tokens by the browser's own sign-in, without showing a page; null when it has ended.
   *
   * A tab that is closed or reloaded while its renewal is on the way never learns the next refresh token, and the one
   * that all tabs hold is spent. For our own client on our own address the server asks nobody, so we begin again.
   */
  async #anew(): Promise<Tokens | null> {
    const pending = newPending();
    const { url } = await fetch(await this.#authorize(pending));
    return url.startsWith(`${this.#callback}?`) ? this.#exchange(new URL(url).searchParams, pending) : null;
  }

  async #authorize(pending: Pending): Promise<string> {
    const query = new URLSearchParams({
      response_type: "code",
      client_id: this.#place.clientId,
      redirect_uri: this.#callback,
      scope: SCOPE,
      state: pending.state,
      code_challenge: await challenge(pending.verifier),
      code_challenge_method: "S256",
    });
    return `${this.#place.publicUrl}/oauth/authorize?${query}`;
  }

  async #exchange(answer: URLSearchParams, pending: Pending | null): Promise<Tokens | null> {
    if (!pending || answer.get("state") !== pending.state) {
      throw new SignInError("This was not the end of a sign-in that began here. Please sign in again.");
    }
    // Also an error says who it comes from: another server's answer must not be taken for ours (RFC 9207).
    if (answer.get("iss") !== this.#place.publicUrl) throw new SignInError("Somebody else answered. Please sign in again.");
    const code = answer.get("code");
    if (!code) throw new SignInError(answer.get("error_description") ?? "Signing in did not work.");
    return this.#ask({
      grant_type: "authorization_code",
      code,
      redirect_uri: this.#callback,
      code_verifier: pending.verifier,
    });
  }

  /** The token endpoint's answer; null when it says that the code or the refresh token is no good. */
  async #ask(form: Record<string, string>): Promise<Tokens | null> {
    const response = await fetch(`${this.#place.publicUrl}/oauth/token`, {
      method: "POST",
      body: new URLSearchParams({ client_id: this.#place.clientId, ...form }),
    });
    if (response.ok) return (await response.json()) as Tokens;
    if (response.status < 500 && response.status !== 429) return null;
    throw new SignInError(`The server could not be asked for a token (${response.status}). Please try again.`);
  }

  #keep(tokens: Tokens): void {
    const access: Access = { token: tokens.access_token, goodUntil: Date.now() + tokens.expires_in * 1000 - MARGIN_MS };
    const entered = !this.isSignedIn;
    localStorage.setItem(REFRESH, tokens.refresh_token);
    sessionStorage.setItem(ACCESS, JSON.stringify(access));
    if (entered) this.#tell();
  }

  #forget(): void {
    localStorage.removeItem(REFRESH);
    sessionStorage.removeItem(ACCESS);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function read<T>(storage: Storage, key: string): T | null {
  try {
    return JSON.parse(storage.getItem(key) ?? "null") as T | null;
  } catch {
    return null;
  }
}

function newPending(): Pending {
  return { state: random(), verifier: random() };
}

/** 256 random bits, in the alphabet that verifiers have. */
function random(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

async function challenge(verifier: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
