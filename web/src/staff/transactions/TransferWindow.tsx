import { Drawer } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Shown } from "../../ui/Shown";
import { WINDOW } from "../window";
import { transferFileQuery } from "./queries";
import { TransferFile } from "./TransferFile";

/** The whole file of a transfer, over the page that one is on. The address names it, so a link may open it. */
export function TransferWindow({ transferId }: { transferId: string }) {
  const navigate = useNavigate();
  const file = useQuery(transferFileQuery(transferId));
  function close() {
    // Escape closes the window on top alone: an act is over this one.
    if (document.querySelector("[data-act]") !== null) return;
    navigate({ to: ".", search: (({ open: _, ...rest }: { open?: string }) => rest) as never });
  }
  return (
    <Drawer opened onClose={close} position="right" size="xl" title="Transaction" {...WINDOW}>
      <Shown query={file} rows={8}>
        {(found) => <TransferFile file={found} />}
      </Shown>
    </Drawer>
  );
}
