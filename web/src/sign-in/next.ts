/** Where to go after the sign-in: a page of ours, and no address of others. */
export function safeNext(next: unknown): { next?: string } {
  return typeof next === "string" && /^\/(?![/\\])/.test(next) && !next.startsWith("/login") ? { next } : {};
}
