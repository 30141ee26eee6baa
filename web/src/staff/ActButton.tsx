import { Button } from "@mantine/core";
import { lazy, type ReactNode, Suspense, useRef, useState } from "react";
import type { Acted } from "./act";

export type Act<T> = Acted<T> & {
  label: string;
  /** What is asked before it is done, and what it does. */
  title: string;
  says: ReactNode;
  confirm?: string;
  /** For what takes something away. */
  isHard?: boolean;
  /** Why it may not be done now, such as an input that is missing. */
  objection?: string | null;
  children?: ReactNode;
};

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
