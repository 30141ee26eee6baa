import { Anchor, Button } from "@mantine/core";
import { createLink } from "@tanstack/react-router";

/** Links of the router with the looks of the components. */
export const ButtonLink = createLink(Button<"a">);
export const TextLink = createLink(Anchor<"a">);
