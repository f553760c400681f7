"""The verbs, one file each; `import excise` offers them under the names that the commands have.

Nothing is re-exported here: a function would hide behind the module of its own name.
"""
