import type { ReactNode } from "react";

export type RowsProps<Item> = {
  items: Item[];
  label?: string;
  className?: string;
  children: (item: Item) => ReactNode;
};
