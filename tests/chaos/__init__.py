"""Does it keep what it promises when things break?"""
