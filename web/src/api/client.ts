// The client of the API, generated from its OpenAPI document. Every request of a page goes through here.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.gen";
import { csrfHeader, find, renew, signedOut } from "./session";

export type Schemas = components["schemas"];

// Reads and small writes. Movements of money have a limit of their own, beside their wait.
const PATIENCE_MS = 20_000;

const EXPIRED = new Set(["token_expired", "not_authenticated"]);

const SAFE = new Set(["GET", "HEAD"]);

// What somebody asks for who is not signed in.
const OPEN = /^\/v1\/auth\/(register|browser\/login|password-reset)/;

export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });

/**
 * One request, and once more where only the session stood in its way: its token had expired, or another tab has begun
 * another session. A session that has ended leads to the sign-in.
 */
async function send(request: Request): Promise<Response> {
  const again = request.clone();
  const answer = await fetch(await signed(request));
  const code = answer.status === 401 || answer.status === 403 ? await codeOf(answer) : null;
  if (code !== null && EXPIRED.has(code)) {
    if (await renew()) return fetch(await signed(again));
    signedOut();
  } else if (code === "csrf_refused" && (await find())) return fetch(await signed(again));
  return answer;
}

async function signed(request: Request): Promise<Request> {
  const limited = new Request(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE_MS)]) });
  const needsToken = !SAFE.has(request.method) && !OPEN.test(new URL(request.url).pathname);
  if (needsToken && !request.headers.has("Authorization"))
    for (const [name, value] of Object.entries(await csrfHeader())) limited.headers.set(name, value);
  return limited;
}

async function codeOf(answer: Response): Promise<string | null> {
  try {
    return (await answer.clone().json()).code;
  } catch {
    return null;
  }
}
