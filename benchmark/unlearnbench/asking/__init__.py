"""How an edited model is asked: tasks, scoring, prompts."""
