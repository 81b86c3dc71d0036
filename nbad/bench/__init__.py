"""``nbad bench``: the pipeline measured, stage by stage, on slates of live games."""
