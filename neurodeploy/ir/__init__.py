"""The intermediate representation: netlists, their exact meaning, and their files."""
