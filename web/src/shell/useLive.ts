import { notifications } from "@mantine/notifications";
import { useEffect } from "react";
import { applyChange } from "../accounts/queries";
import { cache } from "../api/cache";
import { follow } from "../api/live";

// What changes whenever money moves.
const MOVED = ["accounts", "statistics", "transfers", "transfer", "timeline"];

// Somebody who has gone far back reads the past: to read all of it again for each new row takes a request a page.
const MOST_PAGES = 5;

function isShort({ state }: { state: { data?: unknown } }): boolean {
  const pages = (state.data as { pages?: unknown[] } | undefined)?.pages;
  return pages === undefined || pages.length <= MOST_PAGES;
}

function readAgain(keys: readonly string[]): void {
  for (const key of keys) cache.invalidateQueries({ queryKey: [key], predicate: isShort });
}

/** Keep what is on the screen as it is now, and show what is new. */
export function useLive(): void {
  useEffect(
    () =>
      follow({
        onAccount: (change) => {
          applyChange(change);
          readAgain(MOVED);
        },
        onNotification: (added) => {
          notifications.show({ id: added.id, message: added.body });
          readAgain(["notifications", "me", ...MOVED]);
        },
        onOpen: () => readAgain(["notifications", "me", ...MOVED]),
      }),
    [],
  );
}
