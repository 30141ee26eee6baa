import { useMe } from "../customers/queries";
import { type Action, may } from "./permissions";

/** Whether who is signed in may do this. */
export function useMay(): (action: Action) => boolean {
  const role = useMe()?.role;
  return (action) => may(role, action);
}
