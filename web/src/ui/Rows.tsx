import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useLayoutEffect, useRef, useState } from "react";

// Below it, every row is on the page: it is found by the browser's search, and printed.
const MOST_DRAWN = 200;
const ROW_PX = 72;
const BEYOND = 12;

type RowsProps<Item> = { items: Item[]; label?: string; className?: string; children: (item: Item) => ReactNode };

/** The rows of a list; `children` are its `li`. Of a long one, those near the screen are drawn, and the others counted. */
export function Rows<Item>(props: RowsProps<Item>) {
  if (props.items.length > MOST_DRAWN) return <ManyRows {...props} />;
  return (
    <ul className={props.className ?? "list"} aria-label={props.label}>
      {props.items.map(props.children)}
    </ul>
  );
}

function ManyRows<Item>({ items, label, className = "list", children }: RowsProps<Item>) {
  const list = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    if (list.current) setTop(list.current.getBoundingClientRect().top + window.scrollY);
  }, []);
  const rows = useWindowVirtualizer({
    count: items.length,
    estimateSize: () => ROW_PX,
    overscan: BEYOND,
    scrollMargin: top,
  });
  return (
    <div ref={list} style={{ height: rows.getTotalSize(), position: "relative" }}>
      {rows.getVirtualItems().map((row) => (
        <ul
          key={row.key}
          ref={rows.measureElement}
          data-index={row.index}
          className={className}
          aria-label={`${label ?? "Rows"}, ${row.index + 1} of ${items.length}`}
          style={{
            position: "absolute",
            insetInline: 0,
            top: 0,
            transform: `translateY(${row.start - top}px)`,
            // A gap between lists is a margin of none of them.
            paddingBottom: className.includes("cards") ? "0.75rem" : 0,
          }}
        >
          {children(items[row.index] as Item)}
        </ul>
      ))}
    </div>
  );
}
