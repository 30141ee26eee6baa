import { Button } from "@mantine/core";
import { lazy, Suspense, useRef, useState } from "react";
import type { Act } from "./act";

type ActButtonProps<T> = Act<T> & { isFirst?: boolean; isDisabled?: boolean };

const load = () => import("./ActWindow");
const ActWindow = lazy(() => load().then((loaded) => ({ default: loaded.ActWindow })));

/** Before it is clicked. Without a connection the click says so. */
const loadEarly = () => void load().catch(() => {});

/** An act of staff. It asks for the reason, is sent once whatever happens to its answer, and tells what it has done. */
export function ActButton<T>({ isFirst, isDisabled, ...act }: ActButtonProps<T>) {
  const button = useRef<HTMLButtonElement>(null);
  const [isOpen, setOpen] = useState(false);
  const [wasOpen, setWasOpen] = useState(false);
  function open() {
    setOpen(true);
    setWasOpen(true);
  }
  function close() {
    setOpen(false);
    button.current?.focus({ preventScroll: true });
  }
  return (
    <>
      <Button
        ref={button}
        size="xs"
        variant={isFirst ? "filled" : "default"}
        onClick={open}
        onPointerEnter={loadEarly}
        onFocus={loadEarly}
        disabled={isDisabled}
      >
        {act.label}
      </Button>
      {wasOpen && (
        <Suspense>
          <ActWindow {...(act as Act<unknown>)} isOpen={isOpen} close={close} />
        </Suspense>
      )}
    </>
  );
}
