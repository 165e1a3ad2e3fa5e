"""Does a model that generates well find signal?"""
