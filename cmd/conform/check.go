package main

import "github.com/spf13/cobra"

func newCheck() *cobra.Command {
	return &cobra.Command{Use: "check HISTORY.jsonl", Args: cobra.ExactArgs(1)}
}
