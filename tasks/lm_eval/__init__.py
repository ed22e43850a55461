"""Our tasks as lm-eval YAML; `unlearnbench tasks-path` prints this folder."""
