"""On Argo Workflows: checks before a deployment, its decorators, and what runs when a workflow ends."""
