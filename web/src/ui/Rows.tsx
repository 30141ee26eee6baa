import { lazy, Suspense } from "react";
import type { RowsProps } from "./rowsProps";

// Below it, every row is on the page: it is found by the browser's search, and printed.
const MOST_DRAWN = 200;

const ManyRows = lazy(() => import("./ManyRows").then((loaded) => ({ default: loaded.ManyRows })));

/** The rows of a list; `children` are its `li`. Of a long one, those near the screen are drawn, and the others counted. */
export function Rows<Item>(props: RowsProps<Item>) {
  if (props.items.length > MOST_DRAWN)
    return (
      <Suspense>
        <ManyRows {...(props as RowsProps<unknown>)} />
      </Suspense>
    );
  return (
    <ul className={props.className ?? "list"} aria-label={props.label}>
      {props.items.map(props.children)}
    </ul>
  );
}
