import { Button } from "@mantine/core";
import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import { CannotRead } from "./Shown";

/** The way to the next page of a list. */
export function MoreRows<T>({ pages }: { pages: UseInfiniteQueryResult<InfiniteData<T>> }) {
  if (pages.isFetchNextPageError)
    return <CannotRead error={pages.error} again={() => pages.fetchNextPage()} isBusy={pages.isFetching} />;
  if (!pages.hasNextPage) return null;
  return (
    <Button
      variant="default"
      loading={pages.isFetchingNextPage}
      onClick={() => pages.fetchNextPage()}
      mx="auto"
      mt="sm"
    >
      Show more
    </Button>
  );
}
