import { Stack } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { listQuery } from "./listQuery";
import { MoreRows } from "./MoreRows";
import { Rows } from "./Rows";
import { Nothing, Shown } from "./Shown";

type ListOfProps<Item> = {
  query: ReturnType<typeof listQuery<Item>>;
  /** What stands there if it is empty. */
  nothing: string;
  label: string;
  children: (item: Item) => ReactNode;
};

/** The rows of a list, with the way to the next page. */
export function ListOf<Item>({ query, nothing, label, children }: ListOfProps<Item>) {
  const pages = useInfiniteQuery(query);
  return (
    <Shown query={pages} rows={5}>
      {(found) => {
        const items = found.pages.flatMap((page) => page.items);
        if (items.length === 0) return <Nothing says={nothing} />;
        return (
          <Stack>
            <Rows items={items} label={label} className="list cards">
              {children}
            </Rows>
            <MoreRows pages={pages} />
          </Stack>
        );
      }}
    </Shown>
  );
}
