"""The nouns of netwatch: row types and frozen values that the stages hand to each other. No input or output, no clock."""
