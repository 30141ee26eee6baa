import { Anchor, Button, type ButtonProps } from "@mantine/core";
import { createLink } from "@tanstack/react-router";
import type { ComponentPropsWithRef } from "react";

type LinkProps = ButtonProps & Omit<ComponentPropsWithRef<"a">, keyof ButtonProps>;

/** Links of the router with the looks of the components. */
export const ButtonLink = createLink((props: LinkProps) => <Button component="a" {...props} />);
export const TextLink = createLink(Anchor<"a">);
