/** Where this installation is, as the server wrote it into the page. */
export interface Place {
  /** The OAuth issuer, and the only origin that our client is registered for. No slash at the end. */
  readonly publicUrl: string;
  readonly clientId: string;
  /** The path below which everything lies; empty unless a proxy put it below one. */
  readonly root: string;
}

export function placeOf(page: HTMLElement): Place {
  const { publicUrl = "", clientId = "" } = page.dataset;
  return { publicUrl, clientId, root: new URL(publicUrl).pathname.replace(/\/$/, "") };
}

/** The same address with the scheme of WebSockets. */
export function socketUrl(url: string): string {
  return url.replace(/^http/, "ws");
}
