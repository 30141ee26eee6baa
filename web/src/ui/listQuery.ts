// Lists that are read by pages.

import { infiniteQueryOptions } from "@tanstack/react-query";

type Page<Item> = { items: Item[]; next_cursor?: string | null };

export const PAGE = 20;

// An address may ask 500 times in 15 minutes: a list that is left open takes 30 of them.
export const AGAIN_MS = 30_000;

/** What scrolls by itself is reached by the keyboard. */
export const BY_KEYBOARD = { tabIndex: 0 };

/** When a list is read again by itself: always so often, or as long as what it shows is about to change. */
type Again<Item> = number | ((items: Item[]) => number | false);

/** A list that is read by pages. `everyMs`: read it again so often, because others work on it, too. */
export const listQuery = <Item>(
  key: readonly unknown[],
  read: (cursor: string | undefined) => Promise<Page<Item>>,
  everyMs?: Again<Item>,
) =>
  infiniteQueryOptions({
    queryKey: key,
    queryFn: ({ pageParam }) => read(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: Page<Item>) => last.next_cursor ?? undefined,
    refetchInterval: ({ state }) => {
      if (typeof everyMs !== "function") return everyMs ?? false;
      return everyMs((state.data?.pages ?? []).flatMap((page) => page.items));
    },
  });
