import { useState } from "react";

/** The code in the link of a mail. It stands behind the #, so no server sees it, and it leaves the address at once. */
export function useMailedCode(): string | null {
  const [code] = useState(() => new URLSearchParams(location.hash.slice(1)).get("code"));
  if (location.hash !== "") history.replaceState(history.state, "", location.pathname + location.search);
  return code;
}
