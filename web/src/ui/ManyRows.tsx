import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useLayoutEffect, useRef, useState } from "react";
import type { RowsProps } from "./rowsProps";

const ROW_PX = 72;
const BEYOND = 12;

/** A row is drawn again when it changes, and not whenever the list scrolls. */
const Drawn = memo(({ item, draw }: { item: unknown; draw: (item: never) => ReactNode }) => draw(item as never));

export function ManyRows<Item>({ items, label, className = "list", children }: RowsProps<Item>) {
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
    useFlushSync: false,
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
          <Drawn item={items[row.index]} draw={children} />
        </ul>
      ))}
    </div>
  );
}
